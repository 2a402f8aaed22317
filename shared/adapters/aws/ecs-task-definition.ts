import type { RegisterTaskDefinitionCommandInput, TaskDefinition } from '@aws-sdk/client-ecs';
import type { RolloutOrder } from '../../ports/serving-platform.ts';
import { filesDigest } from '../../serving/files-digest.ts';
import { runtimeOf } from '../../serving/runtime.ts';
import { familyOf, logPrefix, pathOf, tagsOf } from './ecs-names.ts';
import { CONTAINER, type EcsPlatformOptions, PORT } from './ecs-options.ts';

/** Seconds that a task gets after SIGTERM; Fargate's greatest is 120. */
const STOP_TIMEOUT = 60;
/** Seconds in which it finishes the requests under way. */
const DRAIN = 50;
/** Fargate gives 20 GiB, image included; this much of it is for the files. */
const FREE_GIB = 15;
/** Of that, what a Python environment may take. */
const ENVIRONMENT_GIB = 8;
const MAX_EPHEMERAL_GIB = 200;
const GIB = 2 ** 30;

/**
 * A revision's task: the server that its files need, not as root, on a read-only root file system with one volume to write to, which it
 * fetches its files into. Its role may do nothing; its token asks for the files of this revision and nothing else, and by their
 * digest it takes no others.
 */
export function taskDefinition(
  order: RolloutOrder,
  token: string,
  options: EcsPlatformOptions,
): RegisterTaskDefinitionCommandInput {
  const { workspace, endpoint, revision, model, version, resources, files } = order;
  const server = serverOf(order, options);
  const gib = Math.ceil(files.reduce((sum, { size }) => sum + size, 0) / GIB) + server.gib;
  const environment = {
    CAIRN_HOST: '0.0.0.0',
    CAIRN_PORT: String(PORT),
    CAIRN_BASE_PATH: pathOf(order),
    CAIRN_WORKSPACE: workspace,
    CAIRN_ENDPOINT: endpoint,
    CAIRN_REVISION: String(revision),
    CAIRN_MODEL_NAME: model,
    CAIRN_MODEL_VERSION: String(version),
    CAIRN_MODEL_DIR: '/tmp/model',
    CAIRN_FILES_URL: `${options.filesUrl}/revisions/${workspace}/${endpoint}/${revision}/files`,
    CAIRN_FILES_TOKEN: token,
    CAIRN_FILES_DIGEST: filesDigest(files),
    CAIRN_THREADS: String(Math.max(1, Math.floor(resources.cpu))),
    CAIRN_MEMORY_MIB: String(resources.memoryMiB),
    CAIRN_METRICS: 'emf',
    CAIRN_DRAIN_SECONDS: String(DRAIN),
    ...server.environment,
  };
  return {
    family: familyOf(order, revision),
    networkMode: 'awsvpc',
    requiresCompatibilities: ['FARGATE'],
    runtimePlatform: { cpuArchitecture: options.architecture ?? 'ARM64', operatingSystemFamily: 'LINUX' },
    cpu: String(resources.cpu * 1024),
    memory: String(resources.memoryMiB),
    ...(gib > FREE_GIB
      ? { ephemeralStorage: { sizeInGiB: Math.min(MAX_EPHEMERAL_GIB, gib + 20 - FREE_GIB) } }
      : {}),
    executionRoleArn: options.executionRole,
    taskRoleArn: options.taskRole,
    volumes: [{ name: 'tmp' }],
    containerDefinitions: [
      {
        name: CONTAINER,
        image: server.image,
        versionConsistency: options.versionConsistency ?? 'enabled',
        essential: true,
        user: '1000:1000',
        readonlyRootFilesystem: true,
        linuxParameters: { capabilities: { drop: ['ALL'] }, initProcessEnabled: true },
        mountPoints: [{ sourceVolume: 'tmp', containerPath: '/tmp', readOnly: false }],
        portMappings: [{ containerPort: PORT, protocol: 'tcp' }],
        environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
        // A large model has ten minutes to be fetched. One that hangs later is seen sooner, by the load balancer.
        healthCheck: {
          command: ['CMD', 'node', 'health-check.mjs'],
          interval: 30,
          timeout: 5,
          retries: 10,
          startPeriod: 300,
        },
        stopTimeout: STOP_TIMEOUT,
        logConfiguration: {
          logDriver: 'awslogs',
          options: {
            'awslogs-group': options.logGroup,
            'awslogs-region': options.region,
            'awslogs-stream-prefix': logPrefix(order, revision).slice(0, -1),
            mode: 'non-blocking',
            'max-buffer-size': '4m',
          },
        },
      },
    ],
    tags: Object.entries({ ...tagsOf(order), 'cairn:revision': String(revision) }).map(([key, value]) => ({
      key,
      value,
    })),
  };
}

/** Whether a task definition is of this version with these files: in a table that was restored, its revision's number may be of others. */
export function isOf(
  { containerDefinitions = [] }: TaskDefinition,
  { version, files }: RolloutOrder,
): boolean {
  const [{ environment = [] } = {}] = containerDefinitions;
  const of = new Map(environment.map(({ name, value }) => [name, value]));
  return (
    of.get('CAIRN_MODEL_VERSION') === String(version) && of.get('CAIRN_FILES_DIGEST') === filesDigest(files)
  );
}

interface TaskServer {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What it writes besides the files. */
  readonly gib: number;
}

/** @throws Error when there is no image for what the files are */
function serverOf(
  { files }: RolloutOrder,
  { image, pythonImage, pythonIndex }: EcsPlatformOptions,
): TaskServer {
  const runtime = runtimeOf(files);
  if (runtime?.kind !== 'mlflow') return { image, environment: {}, gib: 0 };
  if (pythonImage === undefined)
    throw new Error('there is no image for Python models: cairn:pythonServerImage');
  return {
    image: pythonImage,
    environment: {
      CAIRN_MODEL_ENTRY: runtime.folder,
      ...(pythonIndex === undefined ? {} : { PIP_INDEX_URL: pythonIndex }),
    },
    gib: ENVIRONMENT_GIB,
  };
}
