"""From heatmaps to points and confidences."""
