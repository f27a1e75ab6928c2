"""Build engines, prove them against the fp32 reference, keep them. The run time only opens what lies in the store."""
