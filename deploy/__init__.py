"""How Tierflow is installed and started: on one machine, in containers, on Kubernetes."""
