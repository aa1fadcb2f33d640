/**
 * A process in which the command line runs again and again: the compiler that starts with each process costs more than what the tests ask of it.
 * Each run evaluates src/cli/main.ts anew, with arguments, environment and captured output of its own; what it imports stays loaded.
 */
interface Request {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

let runs = 0;

async function run({ args, env }: Request): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' };
  const real = { stdout: process.stdout.write.bind(process.stdout), stderr: process.stderr.write.bind(process.stderr) };
  const listeners = (['uncaughtException', 'unhandledRejection'] as const).map((event) => [event, process.rawListeners(event)] as const);
  const capture = (name: 'stdout' | 'stderr') =>
    ((data: string | Uint8Array) => {
      output[name] += typeof data === 'string' ? data : Buffer.from(data).toString();
      return true;
    }) as typeof process.stdout.write;
  process.env = { ...env };
  process.argv = [process.argv[0]!, 'partitioner', ...args];
  process.exitCode = 0;
  for (const name of ['stdout', 'stderr'] as const) process[name].write = capture(name);
  try {
    await import(`../../src/cli/main.ts?run=${String(++runs)}`);
    return { code: process.exitCode, ...output };
  } finally {
    for (const name of ['stdout', 'stderr'] as const) process[name].write = real[name];
    process.stdout.removeAllListeners('error');
    for (const [event, before] of listeners) {
      process.removeAllListeners(event);
      for (const listener of before) process.on(event, listener as () => void);
    }
    process.exitCode = 0;
  }
}

process.on('message', (request: Request) => {
  run(request).then(
    (ended) => process.send!(ended),
    (error: unknown) => process.send!({ code: -1, stdout: '', stderr: String(error) }),
  );
});
