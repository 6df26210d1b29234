"""From a model to golden logs: what a node must do, whole, in as few logs as it takes."""
