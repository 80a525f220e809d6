"""`tierflow-cascade`: the lowest tier answers that is likely right."""
