"""`make fuzz`: damaged, hostile and odd inputs for every parser and for a real gateway.

Parsers are called in this process, with inputs that mutate towards lines of code that none has
reached. A gateway before simulated engines gets requests that its own description allows or
forbids, broken bytes on its sockets, damaged frames of devices, and callers whose prompts carry
marks that may never reach another. A short part of it all is among the tests.
"""
