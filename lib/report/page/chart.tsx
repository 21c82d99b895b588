/** A chart drawn by uPlot, in the colours of the page: drawn anew when these change or its box does. */
import 'uplot/dist/uPlot.min.css';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { useSize } from './use-size';

/** What to draw with, as the page's style has it. */
export interface Palette {
  readonly ink: string;
  readonly soft: string;
  readonly rule: string;
  readonly font: string;
  /** A colour by the name of its custom property. */
  colour(name: string): string;
}

interface ChartProps {
  /** What a screen reader is told in place of the picture. */
  readonly label: string;
  readonly heightPx: number;
  readonly data: uPlot.AlignedData;
  /** Everything but the size. */
  readonly options: (palette: Palette) => Omit<uPlot.Options, 'width' | 'height'>;
}

export function Chart({ label, heightPx, data, options }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const { width } = useSize(box);
  const look = useLook();
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || width === 0) return;
    const plot = new uPlot({ ...options(paletteOf(element)), width, height: heightPx }, data, element);
    return () => plot.destroy();
  }, [width, look, data, options, heightPx]);
  return <div ref={box} class="chart" role="img" aria-label={label} style={{ minHeight: `${heightPx}px` }} />;
}

/** An axis with the page's colours. */
export function axis(palette: Palette, rest: uPlot.Axis): uPlot.Axis {
  const lines = { stroke: palette.rule, width: 1 };
  return { stroke: palette.soft, font: palette.font, labelFont: palette.font, grid: lines, ticks: lines, ...rest };
}

function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const probe = document.createElement('span');
  // A custom property keeps light-dark() as it is written; a colour is what it comes to.
  const colour = (name: string): string => {
    element.append(probe);
    probe.style.color = `var(--${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  return {
    ink: style.color,
    soft: colour('soft'),
    rule: colour('rule'),
    font: `12px ${style.fontFamily}`,
    colour,
  };
}

/** Changes whenever colours do. */
function useLook(): number {
  const [look, setLook] = useState(0);
  useLayoutEffect(() => {
    const change = (): void => setLook((last) => last + 1);
    const queries = [matchMedia('(prefers-color-scheme: dark)'), matchMedia('print')];
    for (const query of queries) query.addEventListener('change', change);
    const observer = new MutationObserver(change);
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      for (const query of queries) query.removeEventListener('change', change);
      observer.disconnect();
    };
  }, []);
  return look;
}
