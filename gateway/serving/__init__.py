"""One story a file. Sees core and errors; knows neither HTTP frameworks nor client libraries.

One exception: what serves devices speaks `gateway.protocol.speculation` itself. Its frames are
checked values once decoded, and a second set of the same types in core would add nothing.
"""
