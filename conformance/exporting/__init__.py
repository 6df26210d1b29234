"""Export a run as an HTML page, a ShiViz log or an ITF trace."""
