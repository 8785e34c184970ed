"""`assay gateway`: outsiders send pictures and clips over HTTP and get what the subnet's miners say, put together."""
