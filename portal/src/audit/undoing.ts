import { queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";

/** The preview of undoing the request of an entry, as things are now. */
export function undoQuery(id: number) {
  return queryOptions({
    queryKey: ["undo", id],
    queryFn: () => of(client.GET("/api/audit/events/{event_id}/undo", { params: { path: { event_id: id } } })),
    staleTime: 0,
    retry: false,
  });
}

/** Undoes the request of an entry, unless anything has changed since the plan that was seen. */
export function undo(id: number, seen: string) {
  const params = { path: { event_id: id } };
  return of(client.POST("/api/audit/events/{event_id}/undo", { params, body: { seen } }));
}
