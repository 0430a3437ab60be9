"""What Streamlit executes for everybody who has the page open, from the first line each time something is clicked."""

from synth.page.flow import show_page

show_page()
