import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Comparison, type ComparisonForm, FormSwitch } from "../dashboard/Comparison";
import { ProblemBox } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { documentQuery } from "./history";

/** A dashboard before and after a version of its history. */
export default function SideBySide({ uid, version }: { uid: string; version: number }) {
  const [form, setForm] = useState<ComparisonForm>("panels");
  const before = useQuery(documentQuery(uid, version - 1));
  const after = useQuery(documentQuery(uid, version));
  const error = before.error ?? after.error;
  if (error !== null) return <ProblemBox error={error} />;
  if (before.data === undefined || after.data === undefined) return <Skeleton height={240} />;
  return (
    <div className={ui.stack}>
      <div>
        <FormSwitch as={form} onChange={setForm} />
      </div>
      <Comparison before={before.data} after={after.data} titles={["Before", "After"]} as={form} />
    </div>
  );
}
