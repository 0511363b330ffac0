"""Results shown: on the terminal, as Markdown, as files for other tools, as plots and as a page."""
