"""The socket side of a miner's server: listening, connections and their bounds, and log lines that strangers cause."""
