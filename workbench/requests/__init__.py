"""What people ask for, from flags, files and forms, checked."""
