"""A link emulator in user space: delay, jitter, rate, stalls and cuts between two TCP ends."""
