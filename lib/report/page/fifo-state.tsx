/** What a domain on the FIFO ABI has in place of bitmaps: event words, and each vCPU's control block. */
import './fifo-state.css';
import { useMemo } from 'preact/hooks';
import { FIFO, FIFO_MASKS } from '../../abi/fifo';
import type { TraceDomain, TraceFifo } from '../../explore/trace-format';
import { BitGrid } from './bit-grid';
import type { TimelineModel } from './timeline-model';

/** Flags of an event word as its cell has them, with what a screen reader is told. */
const FLAGS = [
  ['P', 'pending', FIFO_MASKS.PENDING],
  ['M', 'masked', FIFO_MASKS.MASKED],
  ['L', 'linked', FIFO_MASKS.LINKED],
  ['B', 'busy', FIFO_MASKS.BUSY],
] as const;

interface FifoStateProps {
  readonly model: TimelineModel;
  readonly step: number;
  readonly domain: TraceDomain;
  readonly fifo: TraceFifo;
  readonly describe: (port: number) => string;
}

export function FifoState({ model, step, domain, fifo, describe }: FifoStateProps) {
  const ports = useMemo(() => usedPorts(model, domain, fifo), [model, domain]);
  return (
    <>
      <ControlBlocks model={model} step={step} domain={domain} fifo={fifo} />
      <div class="bitmap">
        <h3>event words</h3>
        <EventWords model={model} step={step} fifo={fifo} ports={ports} describe={describe} />
      </div>
    </>
  );
}

function wordOf({ pages, wordsPerPage }: TraceFifo, port: number): number {
  return (pages[Math.floor(port / wordsPerPage)] as number) + (port % wordsPerPage) * 4;
}

/** Ports worth showing: those that are ever bound, or whose word ever says more than that it is masked. */
function usedPorts({ history }: TimelineModel, { channels }: TraceDomain, fifo: TraceFifo): number[] {
  const ports: number[] = [];
  for (let port = 1; port < fifo.pages.length * fifo.wordsPerPage; port++) {
    const state = channels.address + port * channels.size + channels.stateOffset;
    const bound = port < channels.count && (history.everSet(state) & 0xff) > 1;
    if (bound || (history.everSet(wordOf(fifo, port)) & ~FIFO_MASKS.MASKED) !== 0) ports.push(port);
  }
  return ports;
}

/** `pending, linked, next 5` */
function tell(word: number): string {
  const flags: string[] = FLAGS.filter(([, , mask]) => (word & mask) !== 0).map(([, name]) => name);
  if ((word & FIFO_MASKS.LINKED) !== 0) flags.push(`next ${nextOf(word)}`);
  return flags.length === 0 ? 'nothing set' : flags.join(', ');
}

function nextOf(word: number): string {
  const link = word & FIFO_MASKS.LINK;
  return link === 0 ? 'none' : String(link);
}

interface EventWordsProps extends Omit<FifoStateProps, 'domain'> {
  readonly ports: readonly number[];
}

function EventWords({ model, step, fifo, ports, describe }: EventWordsProps) {
  const words = ports.map((port) => {
    const address = wordOf(fifo, port);
    return { port, now: model.history.wordAt(address, step), before: model.history.wordAt(address, step - 1) };
  });
  const changed = words.filter(({ now, before }) => now !== before).map(({ port }) => port);
  const listed = words.map(({ port, now }) => `port ${port} ${tell(now)}`).join('; ') || 'no port is used';
  const news = changed.length === 0 ? '' : `; just changed: port ${changed.join(', ')}`;
  return (
    <div class="event-words" role="img" aria-label={`event words, ${listed}${news}`}>
      {words.map(({ port, now, before }) => (
        <span key={port} class="event-word" title={`${describe(port)}; ${tell(now)}`}>
          <span class="port">{port}</span>
          {FLAGS.map(([letter, , mask]) => (
            <span
              key={letter}
              class={`bit ${(now & mask) === 0 ? 'clear' : 'set'} ${((now ^ before) & mask) === 0 ? '' : 'changed'}`}
            >
              {letter}
            </span>
          ))}
          <span class={`bit next ${nextOf(now) === nextOf(before) ? '' : 'changed'}`}>
            {(now & FIFO_MASKS.LINKED) === 0 ? '' : `→ ${nextOf(now)}`}
          </span>
        </span>
      ))}
    </div>
  );
}

function ControlBlocks({ model, step, domain, fifo }: Omit<FifoStateProps, 'describe'>) {
  return (
    <table class="control-blocks">
      <caption>control blocks</caption>
      <thead>
        <tr>
          <th scope="col">
            <span class="unseen">vCPU</span>
          </th>
          <th scope="col">ready queues</th>
          <th scope="col">heads</th>
        </tr>
      </thead>
      <tbody>
        {domain.actors.map((actor, vcpu) => {
          const block = fifo.controlBlocks[vcpu];
          return (
            <tr key={actor}>
              <th scope="row">{model.actorName(actor)}</th>
              {block ? (
                <ControlBlock name={model.actorName(actor)} model={model} step={step} block={block} />
              ) : (
                <td colSpan={2}>none</td>
              )}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

interface ControlBlockProps {
  readonly name: string;
  readonly model: TimelineModel;
  readonly step: number;
  readonly block: NonNullable<TraceFifo['controlBlocks'][number]>;
}

function ControlBlock({ name, model, step, block }: ControlBlockProps) {
  const { history } = model;
  const ready = (queue: number, at: number): boolean => ((history.wordAt(block.ready, at) >>> queue) & 1) === 1;
  const queues = Array.from({ length: FIFO.EVTCHN_FIFO_MAX_QUEUES }, (_, queue) => queue);
  const used = queues.filter((queue) => history.everSet(block.heads + queue * 4) !== 0);
  return (
    <>
      <td>
        <BitGrid
          name={`${name} ready`}
          unit="queue"
          groups={[0, 8]}
          width={8}
          isSet={(queue) => ready(queue, step)}
          wasSet={(queue) => ready(queue, step - 1)}
          describe={(queue) => `queue ${queue}`}
          bare
        />
      </td>
      <td class="heads">
        {used.map((queue) => {
          const address = block.heads + queue * 4;
          const [now, before] = [history.wordAt(address, step), history.wordAt(address, step - 1)];
          return (
            <span key={queue} class={`queue-head ${now === before ? '' : 'changed'}`}>
              queue {queue}: {now === 0 ? 'none' : `port ${now}`}
            </span>
          );
        })}
      </td>
    </>
  );
}
