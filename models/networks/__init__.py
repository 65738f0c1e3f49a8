"""Networks: crops in, heatmaps out. A family a folder."""
