import project from '../../package.json' with { type: 'json' };

/** The package's version, which is bundled with the function. */
export const VERSION: string = project.version;
