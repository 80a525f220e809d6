"""What both ends of a link share: wire formats, and how long they wait before the next try. Imports
nothing of ours."""
