"""What the benchmarks share, in one copy each.

`settings` reads the environment, `benchmark` is the frame of a run. `processes` and `servers` start
what is measured; `http_client`, `closed_loop` and `chat` ask it; `streams` reads its answers.
`statistics`, `repetitions` and `results` make figures and tables of what came back. `family` knows
the model family: its questions, right answers and sizes.

Knows nothing of a particular benchmark.
"""
