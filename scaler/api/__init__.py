"""Commands as functions: options in, a typed result out. The command line prints it, a notebook shows it."""
