"""Who may do what, asked before anything else."""
