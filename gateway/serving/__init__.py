"""One story a file. Sees core and errors; knows neither HTTP frameworks nor client libraries."""
