"""The command line: arguments in, a table or text and an exit status out; a module a group."""
