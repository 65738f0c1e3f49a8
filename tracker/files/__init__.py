"""Files that are neither frames nor results: labels, configs, the detectors' models, what comes with the project."""
