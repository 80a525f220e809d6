"""Models that run on the device, behind one port.

`registry` opens the kind that is asked for: ONNX or llama.cpp in this process, or an engine over
HTTP. `emulation` spoils a drafter's guesses or slows it down, for measurements. Imports
nothing of ours outside this folder.
"""
