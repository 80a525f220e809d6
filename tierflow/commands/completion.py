"""`tierflow completion`"""

from __future__ import annotations

import argparse

from argcomplete.shell_integration import shellcode

EXAMPLES = """\
  eval "$(tierflow completion bash)"     # in ~/.bashrc
  eval "$(tierflow completion zsh)"      # in ~/.zshrc
  tierflow completion fish > ~/.config/fish/completions/tierflow.fish"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(arguments: argparse.Namespace) -> int:
    print(shellcode(["tierflow"], shell=arguments.shell))
    return 0
