"""The gateway: one OpenAI API before devices, edge and cloud. `wiring` puts its parts together."""
