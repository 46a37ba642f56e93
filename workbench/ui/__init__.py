"""The browser application: pages, endpoints and the player. The only package that imports gradio."""
