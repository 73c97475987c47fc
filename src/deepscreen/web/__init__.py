"""The console: pages for examiners in a browser, made on the server from what the HTTP API serves to everybody."""
