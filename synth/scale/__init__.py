"""Many workers: studies and batches over the processes of one machine, or over a cluster."""
