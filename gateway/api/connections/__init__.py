"""The connections of callers and devices: how many there may be, how large and how slow their
requests' heads. Imports uvicorn's protocols, and of api what words an error."""
