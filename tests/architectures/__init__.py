"""`make test-models`: the whole stack on tiny models of other architectures, from a stand-in of the
model hub to real vLLM. Without the variable that the target sets, these tests are skipped."""
