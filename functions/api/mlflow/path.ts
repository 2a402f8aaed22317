/** Whether MLflow's door answers this path. */
export const isMlflowPath = (path: string): boolean => /^\/(?:ajax-)?api\/\d+\.\d+\//.test(path);
