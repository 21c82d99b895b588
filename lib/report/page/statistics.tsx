/** The statistics of a recorded run: how each vCPU spent its time, events over time, and the latency of upcalls. */
import './report.css';
import { useMemo } from 'preact/hooks';
import uPlot from 'uplot';
import { formatTime } from '../format-time';
import { type Latency, type OverTime, type RunStatistics, STATES, type VcpuTimes } from '../statistics-format';
import { axis, Chart, type Palette } from './chart';

const TITLES = { running: 'running', hypercall: 'in a hypercall', upcall: 'in an upcall', blocked: 'blocked' } as const;
const HUES = 8;

export function Statistics({ statistics }: { readonly statistics: RunStatistics }) {
  const { vcpus, fromNs, toNs, missing, overTime, latency } = statistics;
  return (
    <div class="screen report" role="region" aria-label="Statistics" tabIndex={0}>
      <section aria-labelledby="times-title">
        <h2 id="times-title">What each vCPU did</h2>
        <p class="hint">
          {formatTime(toNs - fromNs)} are recorded
          {missing > 0 && `: the end of the run, in which nothing is missing; ${missing} earlier records were not kept`}
          .
        </p>
        <Times vcpus={vcpus} spanNs={toNs - fromNs} />
      </section>
      <section aria-labelledby="events-title">
        <h2 id="events-title">Events over time</h2>
        <EventRate overTime={overTime} vcpus={vcpus} />
      </section>
      <section aria-labelledby="latency-title">
        <h2 id="latency-title">From a send to the handler</h2>
        {latency === null ? (
          <p class="hint">No upcall was recorded with what made it due.</p>
        ) : (
          <LatencyHistogram latency={latency} />
        )}
      </section>
    </div>
  );
}

function Times({ vcpus, spanNs }: { vcpus: readonly VcpuTimes[]; spanNs: number }) {
  return (
    <table class="times">
      <thead>
        <tr>
          <th scope="col">
            <span class="unseen">vCPU</span>
          </th>
          <td aria-hidden="true">
            <Key />
          </td>
          {STATES.map((state) => (
            <th key={state} scope="col" class="figure">
              {TITLES[state]}
            </th>
          ))}
          <th scope="col" class="figure">
            events
          </th>
          <th scope="col" class="figure">
            per second
          </th>
          <th scope="col" class="figure">
            upcalls
          </th>
        </tr>
      </thead>
      <tbody>
        {vcpus.map(({ name, ns, events, upcalls }) => {
          const total = Math.max(
            1,
            STATES.reduce((sum, state) => sum + ns[state], 0),
          );
          return (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="share" aria-hidden="true">
                <span class="stack">
                  {STATES.map((state) => (
                    <span key={state} class={`part ${state}`} style={{ width: `${(100 * ns[state]) / total}%` }} />
                  ))}
                </span>
              </td>
              {STATES.map((state) => (
                <td key={state} class="figure">
                  {formatTime(ns[state])} <small>{((100 * ns[state]) / total).toFixed(1)} %</small>
                </td>
              ))}
              <td class="figure">{events}</td>
              <td class="figure">{Math.round((events * 1e9) / Math.max(1, spanNs))}</td>
              <td class="figure">{upcalls}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Key() {
  return (
    <span class="key">
      {STATES.map((state) => (
        <span key={state}>
          <span class={`part ${state}`} /> {TITLES[state]}
        </span>
      ))}
    </span>
  );
}

function EventRate({ overTime, vcpus }: { overTime: OverTime; vcpus: readonly VcpuTimes[] }) {
  const { sliceNs, events } = overTime;
  const seconds = sliceNs / 1e9;
  const data = useMemo((): uPlot.AlignedData => {
    const slices = events[0]?.length ?? 0;
    return [
      Array.from({ length: slices }, (_, slice) => (slice * sliceNs) / 1e6),
      ...events.map((counts) => counts.map((count) => count / seconds)),
    ];
  }, [overTime]);
  const options = useMemo(() => (palette: Palette) => rateOptions(palette, vcpus), [vcpus]);
  const most = events.map((counts) => Math.round(Math.max(...counts) / seconds));
  const label = vcpus.map(({ name }, vcpu) => `${name}: up to ${most[vcpu]} events per second`).join('; ');
  return <Chart label={`Events per second over time. ${label}`} heightPx={260} data={data} options={options} />;
}

function rateOptions(palette: Palette, vcpus: readonly VcpuTimes[]): Omit<uPlot.Options, 'width' | 'height'> {
  return {
    scales: { x: { time: false } },
    axes: [
      axis(palette, { label: 'milliseconds since the record begins' }),
      axis(palette, { label: 'events per second', size: 80 }),
    ],
    series: [
      { label: 'ms' },
      ...vcpus.map(({ name }, vcpu): uPlot.Series => {
        const colour = palette.colour(`actor-${vcpu % HUES}`);
        return { label: name, stroke: colour, width: 1.5, points: { show: false } };
      }),
    ],
    cursor: { drag: { x: true, y: false } },
  };
}

function LatencyHistogram({ latency }: { latency: Latency }) {
  const { bars, count, minNs, meanNs, maxNs, percentiles } = latency;
  const data = useMemo((): uPlot.AlignedData => [bars.map((_, bar) => bar), bars.map((bar) => bar.count)], [latency]);
  const options = useMemo(() => (palette: Palette) => latencyOptions(palette, latency), [latency]);
  const told = percentiles.map(([percent, ns]) => `${percent} % within ${formatTime(ns)}`).join(', ');
  return (
    <>
      <dl class="figures">
        <Figure name="upcalls" value={String(count)} />
        <Figure name="least" value={formatTime(minNs)} />
        <Figure name="mean" value={formatTime(meanNs)} />
        {percentiles.map(([percent, ns]) => (
          <Figure key={percent} name={`${percent} %`} value={formatTime(ns)} />
        ))}
        <Figure name="most" value={formatTime(maxNs)} />
      </dl>
      <Chart label={`Histogram of ${count} latencies: ${told}`} heightPx={260} data={data} options={options} />
    </>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Bars are equally wide, their edges on a logarithmic scale. */
function latencyOptions(palette: Palette, { bars }: Latency): Omit<uPlot.Options, 'width' | 'height'> {
  const edge = (bar: number): string => {
    const { fromNs } = bars[bar] ?? {};
    return fromNs === undefined ? '' : formatTime(fromNs);
  };
  return {
    scales: {
      x: { time: false, range: [-0.6, bars.length - 0.4] },
      y: { range: (_plot, _least, most) => [0, most * 1.05] },
    },
    axes: [
      axis(palette, {
        label: 'from the store that makes it due to the handler, logarithmic',
        values: (_plot, splits) => splits.map((split) => (Number.isInteger(split) ? edge(split) : '')),
      }),
      axis(palette, { label: 'upcalls', size: 60 }),
    ],
    series: [
      { label: 'from', value: (_plot, bar) => (bar === null ? '' : edge(bar)) },
      {
        label: 'upcalls',
        stroke: palette.colour('upcall'),
        fill: palette.colour('upcall'),
        paths: uPlot.paths.bars?.({ size: [0.92, 80] }),
        points: { show: false },
      },
    ],
    cursor: { drag: { x: false, y: false } },
  };
}
