"""`assay replicas`: detectors on the hosts of a Ray cluster, for miners and sites to ask (`neurons.cluster.remote`)."""
