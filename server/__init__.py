"""The local server that keeps the network in memory and answers editors over ZeroMQ."""
