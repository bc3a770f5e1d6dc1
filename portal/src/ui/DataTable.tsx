import { Skeleton } from "@mantine/core";
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
  /** Whether narrow screens go without it. */
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

const SKELETON_ROWS = ["a", "b", "c", "d", "e", "f"];

/** A table that says what to do when it is empty and does not jump while it loads. */
export function DataTable<T>({ label, columns, rows, rowId, empty }: DataTableProps<T>) {
  const definitions = useMemo(
    () =>
      columns.map(
        (column): ColumnDef<typeof features, T & object> => ({
          id: column.id,
          header: () => column.header,
          cell: ({ row }) => column.cell(row.original),
        }),
      ),
    [columns],
  );
  const data = useMemo(() => (rows ?? []) as (T & object)[], [rows]);
  const table = useTable({ features, columns: definitions, data, getRowId: (row) => rowId(row as T) });
  if (rows?.length === 0) return <>{empty}</>;
  const className = (id: string) => {
    const column = columns.find((candidate) => candidate.id === id);
    return [column?.isWideOnly ? css.wideOnly : "", column?.isAtEnd ? css.end : ""].join(" ").trim() || undefined;
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
                {columns.map((column) => (
                  <td key={column.id} className={className(column.id)}>
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
