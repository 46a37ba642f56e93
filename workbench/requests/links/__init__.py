"""The addresses of pages: a file for each page, with what writes its query and what reads it. A link that is wrong
says so and changes nothing."""
