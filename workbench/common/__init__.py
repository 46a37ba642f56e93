"""What every other room may use: words for people, messages of the command line, the time, faults and LaTeX."""
