"""Small commands of `assay`, a file each."""
