/** The shared page and the words of each domain after the current step; what the step changed stands out. */
import './machine-state.css';
import { useMemo } from 'preact/hooks';
import { ECS_NAMES } from '../../abi/event-channel';
import type { TraceDomain } from '../../explore/trace-format';
import { BitGrid } from './bit-grid';
import { FifoState } from './fifo-state';
import { shortName } from './geometry';
import type { TimelineModel } from './timeline-model';

/** Ports of a row of a bit grid. */
const GROUP = 16;

interface MachineStateProps {
  readonly model: TimelineModel;
  readonly step: number;
}

export function MachineState({ model, step }: MachineStateProps) {
  const { memory } = model.trace;
  if (memory === undefined) {
    return <p class="hint">This trace was written by a version that did not record memory.</p>;
  }
  return (
    <>
      {memory.domains.map((domain) => (
        <DomainState key={domain.name} model={model} step={step} domain={domain} named={memory.domains.length > 1} />
      ))}
    </>
  );
}

interface DomainStateProps extends MachineStateProps {
  readonly domain: TraceDomain;
  readonly named: boolean;
}

function DomainState({ model, step, domain, named }: DomainStateProps) {
  const { fifo } = domain;
  const describe = (port: number): string => describePort(model, domain, port, step);
  return (
    <div class="domain" role="group" aria-label={named ? `Domain ${domain.name}` : 'The machine'}>
      {named && <h2>{domain.name}</h2>}
      <VcpuTable model={model} step={step} domain={domain} />
      {fifo === undefined ? (
        <Bitmaps model={model} step={step} domain={domain} />
      ) : (
        <FifoState model={model} step={step} domain={domain} fifo={fifo} describe={describe} />
      )}
      <WordTable model={model} step={step} domain={domain} />
    </div>
  );
}

function Bitmaps({ model, step, domain }: Omit<DomainStateProps, 'named'>) {
  const { history } = model;
  const groups = useMemo(() => usedGroups(model, domain), [model, domain]);
  const bit = (from: number, number: number, at: number): boolean =>
    ((history.wordAt(from + (number >>> 5) * 4, at) >>> (number & 31)) & 1) === 1;
  return (
    <>
      {(['pending', 'mask'] as const).map((field) => (
        <div key={field} class="bitmap">
          <h3>evtchn_{field}</h3>
          <BitGrid
            name={`evtchn_${field}`}
            unit="port"
            groups={groups}
            width={GROUP}
            isSet={(number) => bit(domain[field], number, step)}
            wasSet={(number) => bit(domain[field], number, step - 1)}
            describe={(number) => describePort(model, domain, number, step)}
          />
        </div>
      ))}
    </>
  );
}

/** First ports of the rows worth showing: those with a port that is ever bound, pending or newly masked. */
function usedGroups(model: TimelineModel, { ports, pending, mask, channels }: TraceDomain): number[] {
  const groups: number[] = [];
  const { history } = model;
  for (let first = 0; first < ports; first += GROUP) {
    const word = (first >>> 5) * 4;
    const bits = (0xffff << (first & 31)) | 0;
    let used = (history.everSet(pending + word) & bits) !== 0 || (history.changedBits(mask + word) & bits) !== 0;
    for (let port = first; !used && port < Math.min(first + GROUP, channels.count); port++) {
      used = (history.everSet(channels.address + port * channels.size + channels.stateOffset) & 0xff) > 1;
    }
    if (used) groups.push(first);
  }
  return groups.length === 0 ? [0] : groups;
}

function describePort(model: TimelineModel, { channels, actors }: TraceDomain, port: number, step: number): string {
  if (port >= channels.count) return `port ${port}`;
  const record = channels.address + port * channels.size;
  const state = ECS_NAMES[model.history.byteAt(record + channels.stateOffset, step)] ?? 'free';
  const vcpu = model.history.wordAt(record + channels.notifyVcpuOffset, step);
  const bound = state === 'free' || state === 'reserved' ? '' : `, notifies ${model.actorName(actors[vcpu] ?? -1)}`;
  return `port ${port}: ${state}${bound}`;
}

function VcpuTable({ model, step, domain }: Omit<DomainStateProps, 'named'>) {
  return (
    <table class="vcpus">
      <caption>vcpu_info</caption>
      <thead>
        <tr>
          <th scope="col">
            <span class="unseen">vCPU</span>
          </th>
          <th scope="col">state</th>
          <th scope="col">pending</th>
          {domain.hasUpcallMask && <th scope="col">mask</th>}
          <th scope="col">selector</th>
        </tr>
      </thead>
      <tbody>
        {domain.actors.map((actor, vcpu) => (
          <VcpuRow key={actor} model={model} step={step} domain={domain} actor={actor} vcpu={vcpu} />
        ))}
      </tbody>
    </table>
  );
}

interface VcpuRowProps extends Omit<DomainStateProps, 'named'> {
  readonly actor: number;
  readonly vcpu: number;
}

function VcpuRow({ model, step, domain, actor, vcpu }: VcpuRowProps) {
  const { history } = model;
  const place = history.wordAt(domain.infoPointers[vcpu] as number, step);
  const info = domain.base + place;
  const selector = info + domain.selectorOffset;
  const buffered = model.buffered(actor, step);
  const bit = (number: number, at: number): boolean =>
    ((history.wordAt(selector + (number >>> 5) * 4, at) >>> (number & 31)) & 1) === 1;
  return (
    <>
      <tr>
        <th scope="row">{model.actorName(actor)}</th>
        <td>{stateOf(model, actor, step)}</td>
        {place === 0 ? (
          <td colSpan={3}>none yet</td>
        ) : (
          <>
            <Flag now={history.byteAt(info, step)} before={history.byteAt(info, step - 1)} />
            {domain.hasUpcallMask && (
              <Flag now={history.byteAt(info + 1, step)} before={history.byteAt(info + 1, step - 1)} />
            )}
            <td>
              <BitGrid
                name={`${model.actorName(actor)} evtchn_pending_sel`}
                unit="bit"
                groups={selectorGroups(model, selector)}
                width={8}
                isSet={(number) => bit(number, step)}
                wasSet={(number) => bit(number, step - 1)}
                describe={(number) => {
                  const size = domain.portsPerSelectorBit;
                  return `bit ${number}: ports ${number * size} to ${(number + 1) * size - 1}`;
                }}
                bare
              />
            </td>
          </>
        )}
      </tr>
      {buffered.length > 0 && (
        <tr class="buffer">
          <th scope="row">
            <span class="unseen">{model.actorName(actor)} </span>store buffer
          </th>
          <td colSpan={4}>
            {buffered.map((store) => {
              const { name = '', operand = 0 } = model.step(store) ?? {};
              return (
                <span key={store} class="store">
                  {shortName(name)} = {operand}
                </span>
              );
            })}
          </td>
        </tr>
      )}
    </>
  );
}

function selectorGroups(model: TimelineModel, selector: number): number[] {
  const groups = [0];
  for (let first = 8; first < 64; first += 8) {
    const bits = model.history.everSet(selector + (first >>> 5) * 4) >>> (first & 31);
    if ((bits & 0xff) !== 0) groups.push(first);
  }
  return groups;
}

function stateOf(model: TimelineModel, actor: number, step: number): string {
  if (model.isAsleep(actor, step)) return 'waits';
  if (!model.isAlive(actor, step + 1)) return 'done';
  return model.step(step)?.actor === actor || model.trace.recorded !== undefined ? 'runs' : 'ready';
}

function Flag({ now, before }: { readonly now: number; readonly before: number }) {
  return (
    <td>
      <span class={`flag-bit ${now === 0 ? 'clear' : 'set'} ${now === before ? '' : 'changed'}`}>{now}</span>
    </td>
  );
}

function WordTable({ model, step, domain }: Omit<DomainStateProps, 'named'>) {
  if (domain.words.length === 0) return null;
  return (
    <table class="words">
      <caption>words</caption>
      <tbody>
        {domain.words.map(({ name, address }) => {
          const [now, before] = [model.history.wordAt(address, step), model.history.wordAt(address, step - 1)];
          return (
            <tr key={name} class={now === before ? '' : 'changed'}>
              <th scope="row">{name}</th>
              <td class="value">{now}</td>
              <td class="was">{now === before ? hexadecimal(now) : `was ${before}`}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function hexadecimal(value: number): string {
  return value >= 0 && value <= 9 ? '' : `0x${(value >>> 0).toString(16)}`;
}
