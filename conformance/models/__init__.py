"""The models of the specification: what each is for, how it is searched, what TLC must find."""
