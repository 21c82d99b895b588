/**
 * `upcall top <socket>`: what `upcall ps` lists, again and again, on the whole terminal. Elsewhere than on a terminal it is `ps`.
 *
 * Exit status: 0 when the user leaves or the run ends, 2 if nothing serves the socket.
 */
import type { Command } from 'commander';
import { MonitorClient } from '../engine/monitor/client';
import type { MachineReport } from '../engine/monitor/protocol';
import { ControlError } from '../engine/monitor/socket-path';
import { FullScreen } from './full-screen';
import { integerBetween, parseDurationMs } from './options';
import { psCommand } from './ps';
import { TopView } from './top-view';

const DEFAULT_INTERVAL_MS = 1000;
const LEAST_INTERVAL_MS = 100;
const MOST_INTERVAL_MS = 60_000;
/** More than fit on a screen, so that the busiest are among them. */
const DEFAULT_CHANNELS = 4096;

interface TopOptions {
  readonly interval?: number;
  readonly channels: number;
}

/** Adds the command. */
export function registerTop(program: Command): void {
  program
    .command('top')
    .description('show vCPUs and event channels of a run with --control <socket> as they change')
    .argument('<socket>', 'as the run was given it')
    .option('--interval <time>', 'between two looks, such as 500ms or 2s; default 1s', parseDurationMs)
    .option('--channels <n>', 'channels of each domain', integerBetween(0, 1 << 17), DEFAULT_CHANNELS)
    .action(topCommand);
}

async function topCommand(socket: string, { interval = DEFAULT_INTERVAL_MS, channels }: TopOptions): Promise<void> {
  if (!process.stdout.isTTY || process.env.TERM === 'dumb') {
    await psCommand(socket, { channels });
    return;
  }
  const client = await MonitorClient.connect(socket);
  try {
    const first = await client.machine(channels);
    const { default: escapes } = await import('ansi-escapes');
    const over = await new Top(client, channels, interval, first).run(escapes);
    if (over !== undefined) process.stdout.write(`${over}\n`);
  } finally {
    client.close();
  }
}

class Top {
  private readonly view = new TopView();
  private timer: NodeJS.Timeout | undefined;
  private latest: MachineReport;
  private leave: (why?: string) => void = () => {};

  constructor(
    private readonly client: MonitorClient,
    private readonly channels: number,
    private intervalMs: number,
    first: MachineReport,
  ) {
    this.intervalMs = clamp(intervalMs);
    this.latest = first;
    this.view.show(first);
  }

  /** Returns why the run is over; undefined if the user leaves. */
  async run(escapes: ConstructorParameters<typeof FullScreen>[0]): Promise<string | undefined> {
    const left = new Promise<string | undefined>((resolve) => {
      this.leave = resolve;
    });
    const draw = (): void => screen.draw(this.view.lines(screen.width, screen.height, this.intervalMs));
    const screen = new FullScreen(escapes, process.stdin, process.stdout, (key) => this.press(key, draw, screen), draw);
    draw();
    this.schedule(draw);
    try {
      return await left;
    } finally {
      clearTimeout(this.timer);
      screen.close();
    }
  }

  private schedule(draw: () => void): void {
    this.timer = setTimeout(() => void this.look(draw), this.intervalMs);
  }

  private async look(draw: () => void): Promise<void> {
    try {
      this.latest = await this.client.machine(this.channels);
    } catch (error) {
      this.leave(error instanceof ControlError ? error.message : String(error));
      return;
    }
    this.view.show(this.latest);
    draw();
    this.schedule(draw);
  }

  private press(key: string, draw: () => void, { height }: FullScreen): void {
    if (key === 'q' || key === 'ctrl-c' || key === 'ctrl-d' || key === 'escape') this.leave();
    else if (key === '+' || key === '-') {
      this.intervalMs = clamp(this.intervalMs * (key === '+' ? 0.5 : 2));
      clearTimeout(this.timer);
      this.schedule(draw);
    } else this.view.press(key, height);
    draw();
  }
}

function clamp(ms: number): number {
  return Math.min(MOST_INTERVAL_MS, Math.max(LEAST_INTERVAL_MS, ms));
}
