import { Skeleton } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { type ColumnDef, tableFeatures, useTable } from "@tanstack/react-table";
import type { ReactNode } from "react";
import { useMemo } from "react";
import css from "./ui.module.css";

const features = tableFeatures({});

/** A column of a table. */
export interface Column<T> {
  id: string;
  header: ReactNode;
  cell: (row: T) => ReactNode;
  /** Whether it has no place on narrow screens. What it says is then under what the first column says. */
  isWideOnly?: boolean;
  isAtEnd?: boolean;
}

interface DataTableProps<T> {
  /** What the table is about, for who cannot see it. */
  label: string;
  columns: Column<T>[];
  /** The rows, or nothing as long as they are not known. */
  rows: T[] | undefined;
  rowId: (row: T) => string;
  empty: ReactNode;
}

/** As in the style sheets. */
const NARROW = "(max-width: 48em)";
const SKELETON_ROWS = ["a", "b", "c", "d", "e", "f"];

/** A table that says what to do when it is empty and does not jump while it loads. */
export function DataTable<T>({ label, columns, rows, rowId, empty }: DataTableProps<T>) {
  const isNarrow = useMediaQuery(NARROW, undefined, { getInitialValueInEffect: false });
  const definitions = useMemo(() => {
    const folded = isNarrow ? columns.filter((column) => column.isWideOnly) : [];
    return columns
      .filter((column) => !folded.includes(column))
      .map(
        (column, index): ColumnDef<typeof features, T & object> => ({
          id: column.id,
          header: () => column.header,
          cell: ({ row }) => (
            <>
              {column.cell(row.original)}
              {index === 0 && folded.length > 0 && <Folded columns={folded} row={row.original} />}
            </>
          ),
        }),
      );
  }, [columns, isNarrow]);
  const data = useMemo(() => (rows ?? []) as (T & object)[], [rows]);
  const table = useTable({ features, columns: definitions, data, getRowId: (row) => rowId(row as T) });
  if (rows?.length === 0) return <>{empty}</>;
  const className = (id: string) => {
    const column = columns.find((candidate) => candidate.id === id);
    return column?.isAtEnd ? css.end : undefined;
  };
  return (
    <div className={css.scroll}>
      <table className={css.table} aria-label={label} aria-busy={rows === undefined}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => (
                <th key={header.id} scope="col" className={className(header.column.id)}>
                  <table.FlexRender header={header} />
                </th>
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          {rows === undefined &&
            SKELETON_ROWS.map((key) => (
              <tr key={key}>
                {definitions.map(({ id = "" }) => (
                  <td key={id} className={className(id)}>
                    <Skeleton height={14} my={5} />
                  </td>
                ))}
              </tr>
            ))}
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id}>
              {row.getAllCells().map((cell) => (
                <td key={cell.id} className={className(cell.column.id)}>
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the columns say that have no place. */
function Folded<T>({ columns, row }: { columns: Column<T>[]; row: T }) {
  return (
    <dl className={css.folded}>
      {columns.map((column) => (
        <div key={column.id}>
          <dt>{column.header}</dt>
          <dd>{column.cell(row)}</dd>
        </div>
      ))}
    </dl>
  );
}
