"""`assay doctor`: what is looked at on this machine and in the network, and what would mend it."""
