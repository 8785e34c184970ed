"""`assay replicas`: detectors on the hosts of a Ray cluster, for miners to ask (`neurons.cluster.remote`)."""
