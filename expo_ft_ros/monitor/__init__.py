"""What a person sees: paths, colours, overlays and plots, for rviz, the browser and the report."""
