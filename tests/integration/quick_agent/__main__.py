import sys

from services.device_agent.__main__ import main
from services.device_agent.link import link
from services.device_agent.membership import device_state

LONGEST_PAUSE_S = 0.5
READ_S = 0.1

if __name__ == "__main__":
    link.LONGEST_PAUSE_S = LONGEST_PAUSE_S
    device_state.READ_S = READ_S
    sys.exit(main(sys.argv[1:]))
