/**
 * The file of a control socket: where it can be made, and whether the one that is there belongs to somebody. Every refusal is
 * a {@link ControlError}, one line.
 */
import { lstatSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { UpcallError } from '../errors';

/** sun_path holds 108 bytes on Linux and 104 elsewhere, the 0 at the end included. */
const MOST_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
/** Nobody but the user may look into the machine: rw-------. */
const SOCKET_UMASK = 0o177;

/** A control socket that cannot be made or reached, or a peer that does not speak the protocol. */
export class ControlError extends UpcallError {
  override readonly name = 'ControlError';

  constructor(message: string, options?: ErrorOptions) {
    super('CONTROL_SOCKET', message, options);
  }
}

/** @throws ControlError for a path no socket can have */
export function checkSocketPath(file: string): void {
  const bytes = Buffer.byteLength(file);
  if (file === '' || file.includes('\0')) throw new ControlError('a control socket needs the path of a file');
  if (bytes > MOST_PATH_BYTES) {
    const mend = 'choose a shorter one, or a relative one';
    throw new ControlError(
      `the path of the control socket has ${bytes} bytes, at most ${MOST_PATH_BYTES} fit: ${mend}`,
    );
  }
}

/**
 * Binds a server to the path, for this user alone. A socket whose server is gone is replaced; one that somebody serves, or a
 * file of another kind, is left alone.
 * @throws ControlError
 */
export async function listenAt(server: Server, file: string): Promise<void> {
  checkSocketPath(file);
  try {
    await bind(server, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cannotListen(file, error);
    await removeStale(file);
    await bind(server, file).catch((again) => {
      throw cannotListen(file, again);
    });
  }
}

/** The file is made within `listen`, under a mask that keeps others out from the first moment. */
function bind(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const umask = process.umask(SOCKET_UMASK);
    server.once('error', reject);
    server.listen(file, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(umask);
  });
}

/** Removes the socket unless somebody answers there. It must be the one that was tried: another run may be as quick. */
async function removeStale(file: string): Promise<void> {
  const found = lookAt(file);
  if (found === undefined) return;
  if (!found.isSocket()) throw new ControlError(`${file} exists and is no socket: choose another path for --control`);
  if (await isServed(file))
    throw new ControlError(`${file} is in use by another run: choose another path for --control`);
  if (lookAt(file)?.ino !== found.ino) return;
  try {
    unlinkSync(file);
  } catch (error) {
    throw cannotListen(file, error);
  }
}

function lookAt(file: string): Stats | undefined {
  return lstatSync(file, { throwIfNoEntry: false });
}

function isServed(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    const answer = (served: boolean) => () => {
      socket.destroy();
      resolve(served);
    };
    socket.once('connect', answer(true));
    // EACCES: somebody else's. Not ours to remove.
    socket.once('error', (error: NodeJS.ErrnoException) => answer(error.code !== 'ECONNREFUSED')());
  });
}

function cannotListen(file: string, error: unknown): ControlError {
  const { code, message } = error as NodeJS.ErrnoException;
  // Binding to a place that does not exist is reported as EACCES.
  if (!isFolder(path.dirname(file))) return new ControlError(`there is no folder ${path.dirname(file)} for ${file}`);
  const reasons: Readonly<Record<string, string>> = {
    EACCES: `no permission to write in ${path.dirname(file)}`,
    EADDRINUSE: 'it is in use by another run',
  };
  return new ControlError(`cannot make the control socket ${file}: ${reasons[code ?? ''] ?? message}`, {
    cause: error,
  });
}

function isFolder(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Why a client cannot reach a server. */
export function cannotConnect(file: string, error: NodeJS.ErrnoException): ControlError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: `there is no socket ${file}: is a run with --control ${file} going on?`,
    ECONNREFUSED: lookAt(file)?.isSocket() ? `nobody serves ${file}: its run is over` : `${file} is no socket`,
    EACCES: `no permission for ${file}: it is another user's run`,
    ENOTSOCK: `${file} is no socket`,
  };
  const reason = reasons[error.code ?? ''] ?? `cannot connect to ${file}: ${error.message}`;
  return new ControlError(reason, { cause: error });
}
