"""Pure parts of workflows: the document and its checks, the compiled definition, the planner, the drawing."""
